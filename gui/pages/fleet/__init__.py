"""Fleet: who is here."""
