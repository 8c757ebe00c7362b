"""Audio as protocols send it: G.711 and Opus in Ogg, decoded as its bytes arrive."""
