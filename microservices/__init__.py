"""A shop of five services behind one API gateway; this folder is also the path root of its services' packages."""
