"""Result: one run, its tests, servers, requests, environment and notes."""
