"""Who is best: means, intervals and paired differences of what the store holds, and published claims against them."""
