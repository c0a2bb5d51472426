# The entry point is this small so that the runtime itself is made of modules, which Python compiles once, at build.
from runtime import serve

serve()
