using System.CommandLine;
using System.Globalization;
using OnnxLlm.Tools.Import;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>import --source FILE --out FOLDER</c></summary>
internal static class ImportCommand
{
    public static Command Create()
    {
        var source = new Option<string>("--source") { Description = $"'{SampleModel.Name}', or a file in llama2.c's format with the tokenizer behind the weights.", Required = true };
        var target = new Option<string>("--out") { Description = "Folder to write the model package to.", Required = true };
        var command = new Command("import", "Make a model package of a model that others trained.") { source, target };
        command.SetAction(parsed =>
        {
            var import = new PackageImport(parsed.GetRequiredValue(source), parsed.GetRequiredValue(target));
            var (manifest, upToDate) = import.Write();
            parsed.InvocationConfiguration.Output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{(upToDate ? "up to date: " : "")}{import.Target}: {manifest.ModelType}, {manifest.ParameterCount:N0} parameters"));
        });
        return command;
    }
}
