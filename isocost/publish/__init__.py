"""What people look at: the warehouse file, the Parquet exports, the report, the figures, the table
on the terminal.

Lives here: everything that turns finished tables into something to read, and writers for other
projects' file formats. Not here: any number that is not already in a table; a figure or a sentence
shows what ``isocost.tables`` computed, it computes nothing new.
"""
