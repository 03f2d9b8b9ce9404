"""The ground floor: errors, settings, pictures, registries and weight files. It imports no other package of this project."""
