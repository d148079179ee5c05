"""Repositories of the Hugging Face Hub: data sets and models by the names that people use.

Lives here: reaching a hub through ``huggingface_hub`` with its cache and its environment variables,
resolving a revision to a commit, the files of a split, and reading rows. Not here: what the columns
of a row mean to a task (``isocost.tasks``), nor what a model folder has to contain
(``isocost.sweep.limits``).
"""

from isocost.hub.faults import HubFault
from isocost.hub.repository import Repository, model_files, repository_at, resolve

__all__ = ["HubFault", "Repository", "model_files", "repository_at", "resolve"]
