"""What surrounds the fetus: sac, placenta, uterus, cord, and the layers of the mother."""
