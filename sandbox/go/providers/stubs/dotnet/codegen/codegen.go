// Package codegen has just what the provider's schema names of the real one.
package codegen

// CSharpPackageInfo tells a generator about a package.
type CSharpPackageInfo struct {
	PackageReferences    map[string]string `json:"packageReferences,omitempty"`
	RespectSchemaVersion bool              `json:"respectSchemaVersion,omitempty"`
}
