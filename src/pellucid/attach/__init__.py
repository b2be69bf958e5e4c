"""The privileged half: find targets, choose sites, load, attach, watch."""
