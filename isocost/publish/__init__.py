"""Published output: warehouse file, Parquet exports, report, figures, terminal table.

Lives here: everything that turns finished tables into something to read, and writers for other
projects' file formats. Not here: any number that is not already in a table; a figure or a sentence
shows what ``isocost.tables`` computed, it computes nothing new.
"""
