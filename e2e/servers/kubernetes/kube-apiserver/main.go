// Command kube-apiserver serves the Kubernetes API, as Kubernetes' own main does.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // for the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // for metrics of client-go
	_ "k8s.io/component-base/metrics/prometheus/version"  // for the metric of the version
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
