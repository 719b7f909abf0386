"""Components: the Pulumi resources of a release. Only this package imports Pulumi."""
