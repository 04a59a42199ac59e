"""What all tabs share: the header, the choice of models, the view and its link, and what comes from clients."""
