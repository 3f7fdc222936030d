# As Toxiproxy's own image is: the program, and nothing else. The build context holds it, statically linked.
FROM scratch
EXPOSE 8474
ENV LOG_LEVEL=info
COPY bin/toxiproxy /toxiproxy
ENTRYPOINT ["/toxiproxy"]
CMD ["-host=0.0.0.0"]
