"""What ails a crop, from its picture: diagnoses with their place, their history, epidemics and outbreaks."""
