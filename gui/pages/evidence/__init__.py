"""Evidence: one request, stage by stage."""
