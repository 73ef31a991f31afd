using System.Globalization;
using System.Text;

namespace OnnxLlm.Serving.Metrics;

/// <summary>Builds one scrape in the Prometheus text exposition format, version 0.0.4. Every line about a model carries the label <c>model_name</c>.</summary>
internal sealed class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new();
    private string _model = "";

    /// <summary>The lines from here on are this model's.</summary>
    public void Of(string model) => _model = Label("model_name", model);

    /// <summary>One label as text, its value escaped.</summary>
    public static string Label(string name, string value) =>
        $"{name}=\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";

    public void Head(string name, string help, string type) => _text.Append($"# HELP {name} {help}\n# TYPE {name} {type}\n");

    /// <param name="labels">Already as text, comma separated, may be empty.</param>
    public void Line(string name, string labels, double value)
    {
        var comma = labels.Length > 0 && _model.Length > 0 ? "," : "";
        _text.Append(CultureInfo.InvariantCulture, $"{name}{{{_model}{comma}{labels}}} {Number(value)}\n");
    }

    public static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    public override string ToString() => _text.ToString();
}
