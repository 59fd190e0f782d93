// The connection form as Airbyte shows it: groups in their order, fields by `order`, optional fields folded unless
// `always_show`, secrets as passwords, descriptions with their links.
import { createRoot } from "react-dom/client";
import Form from "@rjsf/core";
import validator from "@rjsf/validator-ajv8";

const schema = window.SPEC;

const byOrder = (properties) =>
  Object.entries(properties)
    .sort(([, a], [, b]) => (a.order ?? 0) - (b.order ?? 0))
    .map(([name]) => name);

function uiOf(part) {
  const ui = {};
  const variants = [part, ...(part.oneOf ?? [])];
  for (const variant of variants) {
    for (const [name, property] of Object.entries(variant.properties ?? {})) {
      ui[name] = { ...ui[name], ...uiOf(property) };
      if (property.airbyte_secret) ui[name]["ui:widget"] = "password";
      if (property.airbyte_hidden || property.const) ui[name]["ui:widget"] = "hidden";
      if (property.format === "date-time" && !property.airbyte_hidden) ui[name]["ui:widget"] = "text";
      if (property.examples) ui[name]["ui:placeholder"] = [property.examples].flat().join(", ");
    }
  }
  if (part.properties) ui["ui:order"] = [...byOrder(part.properties), "*"];
  return ui;
}

const Description = ({ description, id }) =>
  description ? <p className="help" id={id} dangerouslySetInnerHTML={{ __html: description }} /> : null;

function Field({ id, label, required, description, rawErrors, children, hidden, schema: part, displayLabel }) {
  if (hidden) return <div hidden>{children}</div>;
  const own = part.oneOf || (part.type !== "object" && displayLabel);
  return (
    <div className="field">
      {own && <label htmlFor={id}>{label}{required ? "" : <span className="optional"> Optional</span>}</label>}
      {own && description}
      {children}
      {rawErrors?.filter((error) => !/oneOf|match format/.test(error)).map((error) => <p className="error" key={error}>{part.pattern_descriptor && /pattern/.test(error) ? `must look like ${part.pattern_descriptor}` : error}</p>)}
    </div>
  );
}

function ObjectFields({ title, description, properties, schema: part, uiSchema, idSchema }) {
  const isRoot = idSchema.$id === "root";
  const shown = (entry) => !entry.hidden;
  const folded = (entry) => {
    const property = part.properties[entry.name];
    return isRoot && !part.required?.includes(entry.name) && !property?.always_show;
  };
  const content = (entries) => (
    <>
      {entries.filter((e) => !folded(e)).map((e) => <div key={e.name}>{e.content}</div>)}
      {entries.some(folded) && (
        <details open>
          <summary>Optional fields</summary>
          {entries.filter(folded).map((e) => <div key={e.name}>{e.content}</div>)}
        </details>
      )}
    </>
  );
  if (!isRoot) return <div className="object">{content(properties.filter(shown))}</div>;
  return schema.groups.map((group) => (
    <section key={group.id}>
      <h2>{group.title}</h2>
      {content(properties.filter((e) => shown(e) && (part.properties[e.name]?.group ?? schema.groups[0].id) === group.id))}
    </section>
  ));
}

createRoot(document.getElementById("form")).render(
  <Form
    schema={schema}
    uiSchema={uiOf(schema)}
    validator={validator}
    liveValidate={false}
    showErrorList={false}
    noHtml5Validate
    templates={{ FieldTemplate: Field, ObjectFieldTemplate: ObjectFields, DescriptionFieldTemplate: Description }}
    onSubmit={({ formData }) => { window.SUBMITTED = formData; }}
    onError={(errors) => { window.ERRORS = errors.map((error) => error.stack); }}
  >
    <button type="submit">Set up source</button>
  </Form>,
);
