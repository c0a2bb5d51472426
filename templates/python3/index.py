# The entry point is this small so that the runtime itself is a module, which Python compiles once, at build.
from runtime import serve

serve()
