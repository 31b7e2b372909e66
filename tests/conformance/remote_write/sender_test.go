// The public suite for remote-write 2.0 senders (prometheus/compliance), with leadline as the sender.
package compliance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/compliance/remotewrite/sender"
)

const config = `
global: {scrape_interval: 1s}
remote_write:
  - url: %q
    protobuf_message: %q
    send_exemplars: true
    queue_config: {retry_on_http_429: true}
    metadata_config: {send: true}
scrape_configs:
  - job_name: %q
    scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]
    static_configs: [{targets: [%q]}]
`

// program is what SENDER names, run as its ARGUMENTS say; {config} stands for the file.
type program struct{}

func (program) Name() string { return "sender" }

func (program) Run(ctx context.Context, o sender.Options) error {
	dir, err := os.MkdirTemp("", "remote-write")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf(config, o.RemoteWriteEndpointURL, o.RemoteWriteMessage, o.ScrapeTargetJobName,
		o.ScrapeTargetHostPort)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if os.Getenv("SENDER") == "nothing" {
		return sender.RunCommand(ctx, dir, nil, "sleep", "3600")
	}
	return sender.RunCommand(ctx, dir, nil, os.Getenv("SENDER"), "prometheus", "--agent",
		"--web.listen-address=127.0.0.1:0", "--storage.agent.path=data", "--config.file="+file)
}

func TestSender(t *testing.T) { sender.RunTests(t, program{}, sender.ComplianceTests()) }
