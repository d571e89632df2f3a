from grafana.build import write

write()
