"""The parts of the web app that pages are made of."""
