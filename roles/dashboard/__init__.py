"""What watches a served model: Prometheus' scrape config and rules, and a Grafana dashboard."""
