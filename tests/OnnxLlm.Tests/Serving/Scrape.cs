using System.Globalization;
using System.Text.RegularExpressions;

namespace OnnxLlm.Tests.Serving;

/// <summary>A strict reader of the Prometheus text format, as far as the server uses it.</summary>
internal static partial class Scrape
{
    /// <summary>Values by name and labels, without the label <c>model_name</c> that all of them carry but those of the process.</summary>
    public static Dictionary<string, double> Parse(string text)
    {
        var values = new Dictionary<string, double>();
        var types = new HashSet<string>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#'))
            {
                Assert.Matches(Comment(), line);
                if (line.StartsWith("# TYPE ", StringComparison.Ordinal)) Assert.True(types.Add(line.Split(' ')[2]), $"{line} comes twice.");
                continue;
            }

            var match = Sample().Match(line);
            Assert.True(match.Success, $"'{line}' is not a sample.");
            Assert.Contains(types, type => match.Groups[1].Value.StartsWith(type, StringComparison.Ordinal));
            var labels = match.Groups[2].Value.TrimStart(',');
            values.Add(match.Groups[1].Value + (labels.Length > 0 ? $"{{{labels}}}" : ""), double.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture));
        }

        return values;
    }

    [GeneratedRegex(@"^# (HELP [a-z0-9_:]+ .+|TYPE [a-z0-9_:]+ (counter|gauge|histogram))$")]
    private static partial Regex Comment();

    [GeneratedRegex("""^([a-z0-9_:]+)\{(?:model_name="org/toy")?((?:,[a-z_]+="[^"]*")*)\} (\S+)$""")]
    private static partial Regex Sample();
}
