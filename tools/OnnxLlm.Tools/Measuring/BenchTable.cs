using System.Globalization;

namespace OnnxLlm.Tools.Measuring;

/// <summary>A result for people.</summary>
internal static class BenchTable
{
    public static void Write(BenchResult result, TextWriter output)
    {
        Line($"{result.Model}: {result.Answers} answers of {result.AnswerTokens} tokens to prompts of {result.PromptTokens}, {result.Clients} at a time, in {result.Seconds:0.0} s");
        Line($"  {"tokens/s",-22} {result.TokensPerSecond,9:0.0}   with prompts {result.TotalTokensPerSecond:0.0}");
        if (result.Mfu is { } mfu) Line($"  {"MFU",-22} {mfu,9:P1}   {result.Gflops:0.0} of {result.PeakGflops:0.0} GFLOP/s");
        else if (result.Gflops is { } rate) Line($"  {"GFLOP/s",-22} {rate,9:0.0}");
        Line($"  {"milliseconds",-22} {"mean",9} {"p50",9} {"p95",9} {"p99",9}");
        Row("first token", result.FirstTokenMs);
        Row("inter-token, by answer", result.InterTokenMs);
        Row("between arrivals", result.ArrivalGapMs);

        void Row(string name, Percentiles? times)
        {
            if (times is not null) Line($"  {name,-22} {times.Mean,9:0.00} {times.P50,9:0.00} {times.P95,9:0.00} {times.P99,9:0.00}");
        }

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }
}
