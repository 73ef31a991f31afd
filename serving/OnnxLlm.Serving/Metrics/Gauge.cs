namespace OnnxLlm.Serving.Metrics;

/// <summary>A value read at the moment of the scrape.</summary>
/// <param name="labels">Labels as text; null for none.</param>
internal sealed class Gauge(string name, string help, Func<double> read, Func<string>? labels) : IInstrument
{
    public void Head(PrometheusText text) => text.Head(name, help, "gauge");

    public void Write(PrometheusText text) => text.Line(name, labels?.Invoke() ?? "", read());
}
