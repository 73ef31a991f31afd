namespace OnnxLlm.Serving.Metrics;

/// <summary>A value read at the moment of the scrape.</summary>
/// <param name="labels">Fixed labels as text, may be empty.</param>
internal sealed class Gauge(string name, string help, Func<double> read, string labels = "") : IInstrument
{
    public void Write(PrometheusText text)
    {
        text.Head(name, help, "gauge");
        text.Line(name, labels, read());
    }
}
