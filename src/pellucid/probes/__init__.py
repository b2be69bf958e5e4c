"""The shelf: one folder a library or program that can be watched, C beside Python."""
