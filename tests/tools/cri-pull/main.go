// Command cri-pull asks a container runtime for an image as a kubelet does: ImageService/PullImage of the CRI.
//
//	cri-pull [-creds USER:PASSWORD] /absolute/containerd.sock pull REFERENCE
//	cri-pull /absolute/containerd.sock remove REFERENCE
//	cri-pull /absolute/containerd.sock ready
//
// A pull prints the image's id. What the runtime says on failure goes to standard error, as a kubelet would put it into an event.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// deadline bounds one call. It is longer than any wait of the runtime's own, so that its own error is what shows.
const deadline = 120 * time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cri-pull:", err)
		os.Exit(1)
	}
}

func run() error {
	creds := flag.String("creds", "", "USER:PASSWORD, as a pull secret would carry them")
	flag.Parse()
	if flag.NArg() < 2 {
		return errors.New("usage: cri-pull [-creds USER:PASSWORD] SOCKET pull|remove|ready [REFERENCE]")
	}
	conn, err := grpc.NewClient("unix://"+flag.Arg(0), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	image := &cri.ImageSpec{Image: flag.Arg(2)}
	switch flag.Arg(1) {
	case "pull":
		return pull(ctx, conn, image, *creds)
	case "remove":
		_, err := cri.NewImageServiceClient(conn).RemoveImage(ctx, &cri.RemoveImageRequest{Image: image})
		return err
	case "ready":
		_, err := cri.NewRuntimeServiceClient(conn).Version(ctx, &cri.VersionRequest{})
		return err
	default:
		return fmt.Errorf("unknown command %q", flag.Arg(1))
	}
}

func pull(ctx context.Context, conn *grpc.ClientConn, image *cri.ImageSpec, creds string) error {
	request := &cri.PullImageRequest{Image: image}
	if creds != "" {
		user, password, _ := strings.Cut(creds, ":")
		request.Auth = &cri.AuthConfig{Username: user, Password: password}
	}
	answer, err := cri.NewImageServiceClient(conn).PullImage(ctx, request)
	if err != nil {
		return err
	}
	fmt.Println(answer.GetImageRef())
	return nil
}
