"""Attacks on the gate: what can a reader of everything published work out? By small worlds and by days."""
