"""Plans: the editor of the plan file."""
