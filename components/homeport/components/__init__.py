"""Components: the Pulumi resources that a release becomes. Only this package imports Pulumi."""
