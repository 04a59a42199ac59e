"""One person, to the end: what was found about somebody with any models, as a document that can be checked again."""
