"""A search in the words of a command: what is asked, its answer, and how it goes on."""
