using System.Globalization;
using Spectre.Console;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>What quickstart itself writes between the outputs of its steps: coloured in a terminal, plain lines elsewhere. Commands are never wrapped.</summary>
internal sealed class QuickstartScreen(IAnsiConsole console, TextWriter plain, bool interactive)
{
    public void Heading(int number, int of, string title)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{number}/{of} {title}");
        plain.WriteLine();
        if (interactive) console.Write(new Rule($"[bold]{Markup.Escape(text)}[/]").LeftJustified());
        else plain.WriteLine($"== {text}");
    }

    public void Command(CommandLine command)
    {
        // Written past Spectre, which would break the line to the width of the terminal.
        plain.WriteLine($"$ {command}");
        plain.Flush();
    }

    public void Done(TimeSpan duration) => Line("green", string.Create(CultureInfo.InvariantCulture, $"done in {duration.TotalSeconds:0.0} s"));

    public void Note(string text) => Line("blue", text);

    public Task Answer(Question question, HttpClient server, CancellationToken stop) => question.Ask(server, plain, stop);

    public void Plain(string text) => plain.WriteLine(text);

    private void Line(string colour, string text)
    {
        if (interactive) console.MarkupLine($"[{colour}]{Markup.Escape(text)}[/]");
        else plain.WriteLine(text);
    }
}
