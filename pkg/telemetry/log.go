// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"io"
	stdlog "log"
	"strings"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// LogLevels are the values of --log-level, from most to least talkative.
const LogLevels = "all, debug, info, warn, error, none"

// everything is below each level that a logr.Logger can reach with V.
const everything = zapcore.Level(-127)

// parseLevel returns the zap level for a value of --log-level.
func parseLevel(level string) (zapcore.Level, error) {
	switch level {
	case "all":
		return everything, nil
	case "debug":
		return zapcore.DebugLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "warn":
		return zapcore.WarnLevel, nil
	case "error":
		return zapcore.ErrorLevel, nil
	case "none":
		return zapcore.InvalidLevel, nil
	}
	return 0, fmt.Errorf("--log-level: %q: not a level; want one of %s", level, LogLevels)
}

// NewLogger returns a logger that writes one JSON object per line to w, with the
// keys level, ts, caller and msg first. level is one of LogLevels; V(1) is the
// level debug, and "all" lets every V through. Each line is one Write.
func NewLogger(w io.Writer, level string) (logr.Logger, error) {
	min, err := parseLevel(level)
	if err != nil {
		return logr.Logger{}, err
	}
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		LevelKey:       "level",
		TimeKey:        "ts",
		NameKey:        "logger",
		CallerKey:      "caller",
		MessageKey:     "msg",
		EncodeLevel:    encodeLevel,
		EncodeTime:     zapcore.RFC3339NanoTimeEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
		EncodeCaller:   zapcore.ShortCallerEncoder,
	})
	core := zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), min)
	return zapr.NewLoggerWithOptions(zap.New(core, zap.AddCaller()), zapr.LogInfoLevel("")), nil
}

func encodeLevel(l zapcore.Level, enc zapcore.PrimitiveArrayEncoder) {
	if l < zapcore.DebugLevel {
		l = zapcore.DebugLevel
	}
	enc.AppendString(strings.ToLower(l.String()))
}

// SetDefault makes log the logger of the Kubernetes libraries too, and at level
// debug that of package log, which net/http writes failed handshakes to, so that
// all lines of a program have one form and obey one level.
func SetDefault(log logr.Logger) {
	ctrllog.SetLogger(log)
	klog.SetLogger(log.WithName("client-go"))
	stdlog.SetFlags(0)
	stdlog.SetOutput(standard{log.V(1).WithName("net")})
}

// standard is package log's way to a Logger.
type standard struct{ logr.Logger }

func (s standard) Write(line []byte) (int, error) {
	s.Info("a library says", "text", strings.TrimSpace(string(line)))
	return len(line), nil
}
