"""The ultrasound scanner: from a body in its scene to grey levels along the beams."""
