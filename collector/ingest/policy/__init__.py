"""Who may send to a property, and how much. Pure rules: none knows how an event is stored."""
