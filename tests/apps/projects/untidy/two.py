x = 1
y=x+ 2
unused_long_line = "a line that is longer than what is allowed in a file of this kind, by a good deal of characters"
