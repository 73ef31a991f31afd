namespace OnnxLlm.Serving.Metrics;

/// <summary>A value read at the moment of the scrape.</summary>
/// <param name="labels">Labels as text; null for none.</param>
internal sealed class Gauge(string name, string help, Func<double> read, Func<string>? labels) : IInstrument
{
    public string Name => name;

    public void Head(PrometheusText text, string shown) => text.Head(shown, help, "gauge");

    public void Write(PrometheusText text, string shown) => text.Line(shown, labels?.Invoke() ?? "", read());
}
