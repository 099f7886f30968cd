"""The first process in a kernel's container: starts the kernel, and stands between it and the node.

The node may go and come back; the attendant keeps what the kernel says meanwhile, and what it said about the last runs,
so that a node that takes the kernel over again can fold a running cell's outputs from their start. It owns the
kernel's ZeroMQ sockets, connects to the node over one unix socket, hands signals on and reaps what the kernel leaves.

This folder is copied alone into the image of the kernels: its modules import the standard library, zmq and, by names
relative to it, each other. To the node it brings the frames of the line between them.
"""
