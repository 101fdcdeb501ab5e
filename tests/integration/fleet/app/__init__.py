"""A small project whose hosts may fail, take long, or not answer: as their variables say."""
