"""What is known of a collection: said by persons, found out, drawn, and handed on."""
