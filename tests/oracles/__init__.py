"""What other tools say about the public captures, and how far we agree with them."""
