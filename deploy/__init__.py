"""How Earwitness is run: on a laptop, in containers, on Kubernetes."""
