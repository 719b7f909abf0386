// Package v4 has the arguments of a chart that are structures.
package v4

import (
	"context"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RepositoryOpts says where a chart is and who asks for it.
type RepositoryOpts struct {
	CaFile   pulumi.AssetOrArchive `pulumi:"caFile"`
	CertFile pulumi.AssetOrArchive `pulumi:"certFile"`
	KeyFile  pulumi.AssetOrArchive `pulumi:"keyFile"`
	Password *string               `pulumi:"password"`
	Repo     *string               `pulumi:"repo"`
	Username *string               `pulumi:"username"`
}

// RepositoryOptsInput is what may be given for it.
type RepositoryOptsInput interface {
	pulumi.Input

	ToRepositoryOptsOutput() RepositoryOptsOutput
	ToRepositoryOptsOutputWithContext(context.Context) RepositoryOptsOutput
}

// RepositoryOptsOutput is its value, once known.
type RepositoryOptsOutput struct{ *pulumi.OutputState }

// ElementType is what the output resolves to.
func (RepositoryOptsOutput) ElementType() reflect.Type {
	return reflect.TypeFor[RepositoryOpts]()
}

// ToRepositoryOptsOutput makes an output an input.
func (o RepositoryOptsOutput) ToRepositoryOptsOutput() RepositoryOptsOutput {
	return o
}

// ToRepositoryOptsOutputWithContext makes an output an input.
func (o RepositoryOptsOutput) ToRepositoryOptsOutputWithContext(context.Context) RepositoryOptsOutput {
	return o
}

// PostRenderer is a command that changes what a chart renders.
type PostRenderer struct {
	Args    []string `pulumi:"args"`
	Command string   `pulumi:"command"`
}

// PostRendererInput is what may be given for it.
type PostRendererInput interface {
	pulumi.Input

	ToPostRendererOutput() PostRendererOutput
	ToPostRendererOutputWithContext(context.Context) PostRendererOutput
}

// PostRendererOutput is its value, once known.
type PostRendererOutput struct{ *pulumi.OutputState }

// ElementType is what the output resolves to.
func (PostRendererOutput) ElementType() reflect.Type {
	return reflect.TypeFor[PostRenderer]()
}

// ToPostRendererOutput makes an output an input.
func (o PostRendererOutput) ToPostRendererOutput() PostRendererOutput {
	return o
}

// ToPostRendererOutputWithContext makes an output an input.
func (o PostRendererOutput) ToPostRendererOutputWithContext(context.Context) PostRendererOutput {
	return o
}

func init() {
	pulumi.RegisterOutputType(RepositoryOptsOutput{})
	pulumi.RegisterOutputType(PostRendererOutput{})
}
