namespace OnnxLlm.Serving.Metrics;

/// <summary>Something that can write itself as Prometheus text.</summary>
internal interface IInstrument
{
    void Write(PrometheusText text);
}
