"""The meter: samples that are made by a client of their own, measured at its HTTP calls.

Lives here: the gateway between a client and a server (``gateway``), what one sample may spend and
has spent (``account``), one request and its answer (``exchange``), which calls ran at the same time
and which build on which (``order``), and the processes of clients (``clients``, ``guard``,
``worker``). Not here: servers (``isocost.engines``), the bank, the loop over samples
(``isocost.payload.outside``).
"""
