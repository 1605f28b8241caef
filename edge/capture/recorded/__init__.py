"""What recordings need beside `recordings`: their time, and where their codec changes."""
