"""Settings that the server reads from the environment, because uvicorn loads it by its name."""

__all__ = ["MEGABYTES", "ORIGIN", "USERS"]

# Path of the file of users; none: everybody is let in.
USERS = "PLANAR_LABEL_USERS"
# The server's own address, from which alone pages may use it.
ORIGIN = "PLANAR_LABEL_ORIGIN"
# The largest request, MB.
MEGABYTES = "PLANAR_LABEL_MEGABYTES"
